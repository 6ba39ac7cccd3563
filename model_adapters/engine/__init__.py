"""The engine: schedules requests, answers them with the model, and keeps the answers in a journal."""
