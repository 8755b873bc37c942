# A program without the header's macros, by ctypes: it uses each object of libfencebroker once.
import ctypes
import errno
import fcntl
import os
import select
import sys
import time
from ctypes import byref, c_int, c_size_t, c_uint32, c_void_p

import fbk


def soon():
    return time.monotonic_ns() + 30 * 10**9


def check(result, expected=0):
    if result != expected:
        sys.exit(f"{result}, expected {expected}: {fbk.error_detail().decode()}")


def made(function, *arguments, kind=c_void_p):
    result = kind()
    check(function(*arguments, byref(result)))
    return result


def point(timeline, value):
    return fbk.struct_point(timeline, value)


def eventfd():
    return os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)


def end(name):
    context = made(fbk.connect, None)
    desc = fbk.struct_device_desc(
        name=name,
        device_class=fbk.CLASS_CPU,
        waits=fbk.FENCE_MEMORY64,
        signals=fbk.FENCE_MEMORY64 | fbk.FENCE_EVENTFD,
    )
    return context, made(fbk.device_register, context, byref(desc))


def dispatch_until(context, done):
    poll = select.poll()
    poll.register(fbk.context_fd(context), select.POLLIN)
    while not done():
        if not poll.poll(30000):
            sys.exit("nothing happens")
        if fbk.dispatch(context) < 0:
            sys.exit(fbk.error_detail().decode())


def timelines(context, device, other):
    timeline_set = made(fbk.set_create, context)
    timeline = made(fbk.timeline_create, device, timeline_set, b"python", 0)
    fbk.set_destroy(timeline_set)

    token = made(fbk.timeline_share, timeline, fbk.RIGHT_WAIT, kind=c_int)
    opened = made(fbk.timeline_open, other, token)
    os.close(token.value)
    check(fbk.point_check(point(opened, 1)), -errno.EAGAIN)
    check(fbk.timeline_signal(timeline, 1))
    check(fbk.point_wait(point(opened, 1), soon()))
    index = c_size_t(9)
    points = (fbk.struct_point * 2)(point(opened, 50), point(opened, 1))
    check(fbk.point_wait_any(points, 2, soon(), byref(index)))
    check(index.value, 1)

    info = fbk.struct_timeline_info()
    check(fbk.timeline_info(timeline, byref(info)))
    check((info.name, info.value, info.pid), (b"python", 1, os.getpid()))
    memory = fbk.struct_memory()
    check(fbk.timeline_memory(timeline, byref(memory), None))
    check(ctypes.c_uint64.from_address(memory.address).value, 1)
    return timeline, opened


def watches(context, timeline, opened):
    seen = []
    on_point = fbk.point_fn(lambda arg, at, result: seen.append((at.value, result)))
    check(fbk.point_watch(point(opened, 2), soon(), on_point, None, None))
    pending = made(fbk.point_watch, point(opened, 40), soon(), on_point, None)
    on_gate = fbk.point_fn(lambda arg, at, result: seen.append(("gate", result)))
    no_card = eventfd()  # no V4L2 device: the gate opens, and its action says so
    buffer = (ctypes.c_char * 256)()
    gate_buffer = ctypes.cast(buffer, c_void_p)
    check(fbk.gate_v4l2_queue(point(opened, 2), soon(), no_card, gate_buffer, on_gate, None, None))
    check(fbk.timeline_signal(timeline, 2))
    dispatch_until(context, lambda: len(seen) == 2)
    check(sorted(seen, key=str), [("gate", -errno.ENOTTY), (2, 0)])
    fbk.watch_cancel(pending)
    os.close(no_card)


def fences(context, device, timeline, opened):
    exported = made(fbk.point_export, point(opened, 3), fbk.FENCE_EVENTFD, soon(), kind=c_int)
    check(fbk.fence_classify(context, exported), fbk.FENCE_EVENTFD)
    check(fbk.timeline_signal(timeline, 3))
    check(bool(select.select([exported.value], [], [], 30)[0]), True)
    os.close(exported.value)

    fence = eventfd()
    imported = made(fbk.import_, device, os.dup(fence), kind=fbk.struct_point)
    os.eventfd_write(fence, 1)
    check(fbk.point_wait(imported, soon()))
    fbk.timeline_close(imported.timeline)
    os.close(fence)

    mirrored = made(fbk.timeline_create, device, None, b"mirrored", fbk.TIMELINE_BROKERED)
    why = ctypes.c_char_p()
    if fbk.feature(context, fbk.FEATURE_MIRRORS, byref(why)) == 1:
        syncobj = made(fbk.syncobj_create, context, kind=c_int)
        fbk.mirror_destroy(made(fbk.mirror_to_syncobj, mirrored, syncobj))
        os.close(syncobj.value)
        print("python: with a mirror")
    else:
        syncobj = c_int(-1)
        check(fbk.syncobj_create(context, byref(syncobj)), -errno.EOPNOTSUPP)
        print(f"python: without a mirror: {why.value.decode()}")
    check(fbk.timeline_fail(mirrored, -errno.EIO, b"for the test"))
    check(fbk.point_wait(point(mirrored, 1), soon()), -errno.EIO)
    fbk.timeline_close(mirrored)


def memfd():
    fd = os.memfd_create("python", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(fd, 4096)
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK)
    return fd


def frames(context, device, other, consumer):
    wanted = fbk.struct_link_desc(role=fbk.ROLE_PRODUCER)
    offer, link = c_int(), c_void_p()
    check(fbk.link_offer(device, byref(wanted), byref(offer), byref(link)))
    exchange = made(fbk.exchange_create, link)
    joined = made(fbk.link_accept, consumer, offer, None)
    os.close(offer.value)
    check(fbk.link_wait(link, soon()))

    buffer = fbk.struct_buffer_desc(memory=fbk.MEMORY_MEMFD, plane_count=1, fd=(memfd(), -1, -1, -1))
    check(fbk.exchange_add(exchange, 0, byref(buffer)))
    index, age = c_uint32(9), c_uint32()
    check(fbk.exchange_take(exchange, soon(), byref(index), byref(age)))
    meta = fbk.struct_frame_meta(pts_ns=40, dts_ns=fbk.TIME_NONE, duration_ns=fbk.TIME_NONE, capture_ns=fbk.TIME_NONE)
    released = []
    on_released = fbk.released_fn(lambda arg, result: released.append(result))
    reached = point(None, 0)
    check(fbk.exchange_hand(exchange, index, reached, soon(), byref(meta), on_released, None), 1)

    frame = made(fbk.link_next, joined, soon())
    check(fbk.frame_meta(frame).contents.pts_ns, 40)
    check(fbk.frame_buffer(frame).contents.plane_count, 1)
    check(fbk.point_wait(fbk.frame_acquire(frame), soon()))
    check(fbk.frame_release(frame, 0))
    fbk.frame_unref(frame)
    dispatch_until(context, lambda: released == [0])

    # The next one comes back before it is read: with the point that its release waits for.
    check(fbk.exchange_hand(exchange, 0, reached, soon(), None, fbk.released_fn(), None), 1)
    frame = made(fbk.link_next, joined, soon())
    due = made(fbk.frame_release_later, frame, kind=fbk.struct_point)
    fbk.frame_unref(frame)
    releases, count = (fbk.struct_release * (fbk.CONSUMERS_MAX + 1))(), c_size_t()
    check(fbk.exchange_take_early(exchange, soon(), byref(index), None, releases, byref(count)))
    check(count.value, 1)
    check(fbk.point_check(releases[0].point), -errno.EAGAIN)
    check(fbk.point_signal(due))
    check(fbk.point_wait(releases[0].point, soon()))

    info = fbk.struct_link_info()
    check(fbk.link_info(joined, byref(info)))
    check((info.phase, info.peer), (fbk.PHASE_ESTABLISHED, b"python-producer"))
    fbk.exchange_destroy(exchange)
    fbk.link_close(joined)
    fbk.link_close(link)


context, device = end(b"python-producer")
other, consumer = end(b"python-consumer")
timeline, opened = timelines(context, device, other)
watches(other, timeline, opened)
fences(other, device, timeline, opened)
frames(context, device, other, consumer)
fbk.timeline_close(opened)
fbk.timeline_close(timeline)
fbk.device_unregister(consumer)
fbk.disconnect(other)
fbk.disconnect(context)
print("python: done")
