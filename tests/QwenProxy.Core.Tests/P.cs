namespace QwenProxy.Core.Tests; public class P { [Fact] public void A_B() { } }
