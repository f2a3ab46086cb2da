"""The tests, by kind: unit without a broker, integration with one, and the wire contracts."""
