"""The wire format: pure encoders, and `*_untrusted` parsers whose only error is BadPacket."""
