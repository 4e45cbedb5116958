"""mobike: IKEv2 and MOBIKE (RFC 7296, RFC 4555), a Rust core under a Python control plane."""
