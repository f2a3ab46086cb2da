"""A simulated MRI scanner: takes a START, measures a phantom, reports and delivers over Kafka."""
