namespace QwenProxy.Wire.Tests; public class P { [Fact] public void A_B() { } }
