"""Real peers: strongSwan and mobike in network namespaces."""
