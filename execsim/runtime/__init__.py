"""Time and tasks: the port `ports.Runtime` in virtual time (SimPy) and in wall time (asyncio), and sync on top of it.

    wait.py       Cancelled, Pending: how a task waits          task.py     Task: one coroutine, driven by `send`
    timers.py     the one heap of timers                        rng.py      named streams of random integers
    scheduler.py  what both runtimes share                      sync.py     Queue, Event, Group, timeout (port only)
    virtual.py    SimPy steps tasks and moves time              wall.py     asyncio wakes us, the real clock moves
    stepper.py    inputs: what wall time and its replay share   replay.py   a session of wall time, run again
    codec.py      inputs as bytes                               transport.py  requests, answers, frames as inputs
    behind.py     another runtime, its clock moved back
    hosted.py     virtual time moved from outside              pacer.py     ... at the wall clock's pace, from asyncio
    eras.py       how the exchange's time and its clients' belong together

Order within one instant, the same in both runtimes; again and again:

1. If tasks are ready, the one that has been ready longest takes its step. A task becomes ready when it is spawned, when
   its sleep is over, when what it waits for is settled (several waiters: in the order in which they came), when it is
   cancelled. A step lasts until the task's next wait; what it wakes or spawns goes to the end of the queue.
2. If none is ready, the one live timer with the smallest (time, priority, sequence) among those due fires: it calls its
   function or ends its task's sleep. Sequence is the order in which timers were set. A timer set for the past is due now.
3. If none is due, time moves: to the earliest live timer (virtual), to the next input (wall). In wall time the clock
   stands still between inputs: something that came in from outside, or the time itself when a timer is due.

So all that a timer causes happens before the next timer of the instant, a timer set meanwhile for the same instant takes
its place by priority, and a timer of Priority.LAST fires when nothing else is left to do at that instant.

Cancelling settles the task's wait as cancelled: its next step raises Cancelled there, whatever else settled it meanwhile.
A task cancelled before its first step never runs its body; one that cancels itself learns it at its next wait; awaiting a
Pending that is settled already is no wait. Cleanup (`finally`) may wait while the run goes on, each cancel is raised once.
At the end of a run what is left is cancelled in reverse order of spawning, each task after the next newer one has ended.
"""

from execsim.runtime.behind import BehindRuntime
from execsim.runtime.eras import Eras
from execsim.runtime.hosted import HostedRuntime
from execsim.runtime.pacer import Pacer
from execsim.runtime.replay import ReplayRuntime
from execsim.runtime.rng import Stream, Streams
from execsim.runtime.sync import Event, Group, Overflow, Queue, QueueClosed, timeout
from execsim.runtime.task import Task
from execsim.runtime.timers import Timer
from execsim.runtime.transport import SessionTransport
from execsim.runtime.virtual import VirtualRuntime
from execsim.runtime.wait import Cancelled, Pending
from execsim.runtime.wall import WallRuntime

__all__ = [
    "BehindRuntime",
    "Cancelled",
    "Eras",
    "Event",
    "Group",
    "HostedRuntime",
    "Overflow",
    "Pacer",
    "Pending",
    "Queue",
    "QueueClosed",
    "ReplayRuntime",
    "SessionTransport",
    "Stream",
    "Streams",
    "Task",
    "Timer",
    "VirtualRuntime",
    "WallRuntime",
    "timeout",
]
