"""What the nodes share: QoS, message factory, time stamps, diagnostics, parameters and the node's main."""
