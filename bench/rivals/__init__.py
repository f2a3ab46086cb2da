"""What the processor is compared with; each is a program of its own that prints when it is ready."""
