"""The device's aggregate: whether a scan may start, who holds the scanner, whether it was started."""
