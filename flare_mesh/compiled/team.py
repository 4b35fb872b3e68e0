"""Threads that share the tasks of a compiled loop without the interpreter.

A thread that calls Python waits for the interpreter lock twice for each call, which takes longer
than most tasks. The threads of GNU OpenMP run compiled code only, in a loop of this form::

    @jit
    def add(team, chunk, x, y):
        if fork(team):
            return
        task = next_task(team)
        while task * chunk < len(x):
            for i in range(task * chunk, min((task + 1) * chunk, len(x))):
                y[i] += x[i]
            task = next_task(team)

    run_tasks(add, -(-len(x) // chunk), chunk, x, y)
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from llvmlite import ir
from numba import types
from numba.core import cgutils, extending
from numba.core.callconv import RETCODE_NONE, RETCODE_OK

from flare_mesh.compiled import threads

intrinsic: Any = extending.intrinsic  # calls omit the first parameter, the context

_BYTES, _NUMBER = ir.IntType(8).as_pointer(), ir.IntType(32)
# Positions in a team, which is an array of integers.
_ADDRESS, _THREADS, _TASK, _MEMBER, _FAILED, _SIZE = range(6)


def _next(place: int, what: str) -> Any:
    def step(context, team):
        def generate(context, builder, signature, arguments):
            data = context.make_array(signature.args[0])(context, builder, value=arguments[0]).data
            number = _element(builder, data, place)
            return builder.atomic_rmw("add", number, ir.Constant(ir.IntType(64), 1), "seq_cst")

        return types.int64(team), generate

    step.__doc__ = f"Number of the next {what} of a team, from 0 on; each is given once."
    return intrinsic(step)


next_task = _next(_TASK, "task")
next_member = _next(_MEMBER, "thread")


@intrinsic
def fork(context, team):
    """Whether the threads of a team have run the loop, each by a call with the same arguments.

    In the threads' calls, and for a team of one thread, it is false.
    """

    def generate(context, builder, signature, arguments):
        function = builder.function
        function.attributes.add("noinline")  # one copy is enough
        team = context.make_array(signature.args[0])(context, builder, value=arguments[0]).data
        # Numba's own convention: places for a result and for an error come first.
        shared = [team, *function.args[2:]]
        kind = ir.LiteralStructType([value.type for value in shared])
        member = _member(builder.module, function, kind)
        memory = cgutils.alloca_once(builder, kind)
        count = builder.load(_element(builder, team, _THREADS))
        one = ir.Constant(count.type, 1)
        is_many = builder.icmp_signed(">", count, one)
        with builder.if_then(is_many):
            for i, value in enumerate(shared):
                builder.store(value, cgutils.gep_inbounds(builder, memory, 0, i))
            builder.store(one, _element(builder, team, _THREADS))
            parallel = ir.FunctionType(ir.VoidType(), [member.type, _BYTES, _NUMBER, _NUMBER])
            address = builder.load(_element(builder, team, _ADDRESS))
            builder.call(
                builder.inttoptr(address, parallel.as_pointer()),
                [
                    member,
                    builder.bitcast(memory, _BYTES),
                    builder.trunc(count, _NUMBER),
                    ir.Constant(_NUMBER, 0),
                ],
            )
        return is_many

    return types.boolean(team), generate


def _member(module: Any, function: Any, shared: Any) -> Any:
    """What each thread runs: the function, with its arguments from memory that all share."""
    kind = ir.FunctionType(ir.VoidType(), [_BYTES])
    member = ir.Function(module, kind, module.get_unique_name("flare_mesh_member"))
    member.linkage = "internal"
    builder = ir.IRBuilder(member.append_basic_block())
    whole = builder.load(builder.bitcast(member.args[0], shared.as_pointer()))
    team, *given = [builder.extract_value(whole, i) for i in range(len(shared.elements))]
    places = [builder.alloca(argument.type.pointee) for argument in function.args[:2]]
    status = builder.call(function, [*places, *given])
    with_value = builder.icmp_signed("==", status, RETCODE_OK)
    without = builder.icmp_signed("==", status, RETCODE_NONE)
    with builder.if_then(builder.not_(builder.or_(with_value, without))):
        failed = _element(builder, team, _FAILED)
        builder.store(ir.Constant(failed.type.pointee, 1), failed)
    builder.ret_void()
    return member


def _element(builder: Any, data: Any, place: int) -> Any:
    """Pointer to a number of an array."""
    return builder.gep(data, [ir.Constant(ir.IntType(64), place)])


def num_threads(tasks: int) -> int:
    """Number of threads for so many tasks: as many as torch uses, or one for each task."""
    return max(1, min(torch.get_num_threads(), tasks))


def run_tasks(loop: Callable[..., None], tasks: int, *arguments: Any) -> None:
    """Call a compiled loop of the form that the module describes.

    Args:
        loop: loop(team, *arguments); it takes tasks while there are any.
        tasks: Their number, for the number of threads.
        arguments: Arrays and numbers.

    Raises:
        MemoryError: If a loop that allocates memory found none.
    """
    count, address = num_threads(tasks), threads.fork_address()
    team = np.zeros(_SIZE, np.int64)
    if count > 1 and not address:
        team[_THREADS] = 1  # each thread is a team of one, with the same counters
        threads.call_on_python_threads(lambda: loop(team, *arguments), count)
    else:
        team[_ADDRESS], team[_THREADS] = address, count
        loop(team, *arguments)
    if team[_FAILED]:
        raise MemoryError("a compiled loop found no memory")
