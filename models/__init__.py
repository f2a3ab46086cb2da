"""What travels: messages on Kafka and answers of the managers. No I/O; imports nothing of ours."""
