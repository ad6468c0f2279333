"""The live pipeline on one machine: a Kafka broker, a replay server for EventStreams, and their demo."""
