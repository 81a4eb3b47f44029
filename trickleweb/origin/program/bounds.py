"""The bounds of the server for programs, each with its reason. What is soft leaves; everything else is told to wait."""

MOST_RUNNING = 2048  # requests at work at once in one replica; one more is told to ask again
MOST_PARKED = 4096  # requests that wait for a stream; with those at work fewer than a listener lets wait
MOST_PARKED_EACH = 64  # of them for one response; some wait while a replica goes on with another's
MOST_PARKED_SECONDS = 25.0  # then a client that waits for a slow stream asks again
MOST_LIVE = 4096  # streams whose generators are kept; the longest unused are closed, and can be made anew
MOST_LIVE_BYTES = 256 << 20  # of all streams together: the more there are, the less each keeps
MOST_IDLE_SECONDS = 60.0  # then a stream that nobody asks for is closed
MOST_AHEAD_BYTES = 1 << 20  # made before it is asked for: more than most paths hold
MOST_BEHIND_BYTES = 4 << 20  # kept for what is lost on the way: a client's whole receive window
MOST_STEP_BYTES = 1 << 20  # of one step: all of it is made before any of it is sent elsewhere
MOST_MARKS = 4096  # steps made before they are asked for
MOST_THREADS = 64  # plain iterables at work at once; a slow one keeps its thread, so event streams had better be async
MOST_KEPT_BYTES = 1 << 20  # of a response to an unsafe request, or of a request too long for a state, in the ledger
MOST_TOLD_BYTES = 600  # of a request in a state, of the 700 that a continuation has
MOST_REMEMBERED_BYTES = 16 << 20  # of responses begun lately, and as much of those asked for again
