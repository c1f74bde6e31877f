"""Libraries and services: losses and advantages for a loop of one's own."""
