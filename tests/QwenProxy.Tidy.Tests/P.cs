namespace QwenProxy.Tidy.Tests; public class P { [Fact] public void A_B() { } }
