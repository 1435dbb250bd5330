"""The agent beside the pills: shows the plan on a panel, takes presses, and works alone when the server is away."""
