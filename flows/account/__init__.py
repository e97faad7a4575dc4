"""Self-service: what people see and change of their own account."""
