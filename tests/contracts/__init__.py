"""The contracts of the real services, and the simulated ones held against them."""
