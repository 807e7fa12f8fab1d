"""How good a judge is: its answers to cases whose better response is known."""
