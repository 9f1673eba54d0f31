"""BytePort: signals become incidents; incidents are diagnosed, remediated inside hard limits, verified and told."""

__version__ = "0.1.0"
