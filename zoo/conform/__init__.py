"""What must hold of every token mixer and of every network, as checks that anybody can run: ``mixspec conform``.

The same functions are what our own tests call. :mod:`.mixers` checks a mixer on a small map, :mod:`.networks` a whole
network against timm's model contract.
"""
