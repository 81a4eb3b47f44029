"""What is on the wire, field by field: pure encoders and `*_untrusted` parsers whose only error is BadPacket."""
