"""Stand-ins for the devices: programs that the genuine client libraries cannot tell from the device."""
