"""Other people's generators made styles of the user's own.

A graph or a file of weights comes from a stranger: it is checked in its bytes first
(`engines.untrusted.onnx_validator`, `engines.untrusted.safetensors_validator`) and then tried in a process of
its own, within limits of memory and time (`engines.importing.sandbox_worker`). What is not known of a graph
(the layout of its pictures, the values that stand for black and white, the sizes that it takes) is found by
trying and shown to hold on a test picture.
"""
