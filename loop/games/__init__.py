"""Preference games small enough to solve: the losses, trained on a softmax over n responses whose preferences are
known, beside equilibria from independent solvers. `ratchet bench games` shows them."""
