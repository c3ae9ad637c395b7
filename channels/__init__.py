"""One file per kind of channel, the contract they share (base), the registry, and the conformance suite (testing)."""
