"""What goes wrong in self-improvement, measured in every round: a value, a colour and a sentence each."""
