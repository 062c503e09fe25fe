"""What both login benchmarks stand on: lists with a known answer, a service, a load generator."""
