"""A stateful fuzz of listeners by a client that cheats: `python -m tests.fuzz.cheats --seeds N`.

One connection of a hand-made client meets one to three real listeners in virtual time, without sockets. The client
holds everything that it ever received: transport and user continuations, packets with their range nonces, its own
requests. Each step is one action on what it holds, honest or not; a seed draws which actions there are and how often
(swarm testing), how many replicas, their clocks, and which packets are lost.

`actions`   what the client may do next; plain values, so that a list of them can be shrunk, printed and replayed
`peer`      what the client holds, and the requests that can be made of it
`world`     the listeners, their services, the time, and the way between
`oracles`   what is measured on the way, and the bounds; `meter` counts work and memory of one call
`swarm`     from a seed to a plan and to actions, with a greedy mode
`search`    run a seed, and shrink what broke a bound
`neighbour` the same client in the simulator, beside an honest flow on a bottleneck
"""
