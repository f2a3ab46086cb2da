"""One machine: an embedded Kafka, simulated managers, devices and reconstruction, and the demo."""
