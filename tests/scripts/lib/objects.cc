// SPDX-License-Identifier: MIT
/* A C++ program that uses each object of libfencebroker once: C++11, and only what fencebroker.h gives. */
#include <fence-v4l2.h>
#include <fencebroker.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>

#include <fcntl.h>
#include <linux/videodev2.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#define CHECK(condition) check((condition), #condition, __LINE__)

namespace
{
void check(bool good, const char *what, int line)
{
	if (!good) {
		std::fprintf(stderr, "line %d: %s: %s\n", line, what, fbk_error_detail());
		std::exit(EXIT_FAILURE);
	}
}

uint64_t soon()
{
	const auto now =
		std::chrono::steady_clock::now().time_since_epoch() + std::chrono::seconds(30);
	return static_cast<uint64_t>(
		std::chrono::duration_cast<std::chrono::nanoseconds>(now).count());
}

/* Each object of the library has one function that ends it. */
struct ends {
	void operator()(fbk_context *context) const
	{
		fbk_disconnect(context);
	}
	void operator()(fbk_device *device) const
	{
		fbk_device_unregister(device);
	}
	void operator()(fbk_set *set) const
	{
		fbk_set_destroy(set);
	}
	void operator()(fbk_timeline *timeline) const
	{
		fbk_timeline_close(timeline);
	}
	void operator()(fbk_link *link) const
	{
		fbk_link_close(link);
	}
	void operator()(fbk_exchange *exchange) const
	{
		fbk_exchange_destroy(exchange);
	}
	void operator()(fbk_frame *frame) const
	{
		fbk_frame_unref(frame);
	}
	void operator()(fbk_mirror *mirror) const
	{
		fbk_mirror_destroy(mirror);
	}
};
template <typename T> using owner = std::unique_ptr<T, ends>;

class descriptor
{
      public:
	explicit descriptor(int fd) : fd_(fd)
	{
		CHECK(fd >= 0);
	}
	~descriptor()
	{
		close(fd_);
	}
	descriptor(const descriptor &) = delete;
	descriptor &operator=(const descriptor &) = delete;
	int get() const
	{
		return fd_;
	}
	int copy() const
	{
		return fcntl(fd_, F_DUPFD_CLOEXEC, 0);
	}

      private:
	int fd_;
};

owner<fbk_context> connect_to_daemon()
{
	fbk_context *context = nullptr;
	CHECK(fbk_connect(nullptr, &context) == 0);
	return owner<fbk_context>(context);
}

owner<fbk_device> device_of(fbk_context *context, const char *name)
{
	fbk_device_desc desc{};
	fbk_device *device = nullptr;
	desc.struct_size = sizeof(desc);
	desc.name = name;
	desc.device_class = FBK_CLASS_CPU;
	desc.waits = FBK_FENCE_MEMORY64;
	desc.signals = FBK_FENCE_MEMORY64 | FBK_FENCE_EVENTFD;
	CHECK(fbk_device_register(context, &desc, &device) == 0);
	return owner<fbk_device>(device);
}

owner<fbk_timeline> timeline_of(fbk_device *device, fbk_set *set, uint32_t flags)
{
	fbk_timeline *timeline = nullptr;
	CHECK(fbk_timeline_create(device, set, "c++", flags, &timeline) == 0);
	return owner<fbk_timeline>(timeline);
}

/* By a token, as another process would. */
owner<fbk_timeline> opened_by(fbk_context *context, fbk_timeline *timeline)
{
	fbk_timeline *opened = nullptr;
	int token = -1;
	CHECK(fbk_timeline_share(timeline, FBK_RIGHT_WAIT, &token) == 0);
	CHECK(fbk_timeline_open(context, token, &opened) == 0);
	close(token);
	return owner<fbk_timeline>(opened);
}

/* ---------------------------------------------------------------------------- watches and gates -- */

struct seen {
	int count;
	int result;

	static void point(void *arg, fbk_point, int result)
	{
		auto *self = static_cast<seen *>(arg);
		self->count++;
		self->result = result;
	}
	static void released(void *arg, int result)
	{
		point(arg, FBK_POINT_SIGNALLED, result);
	}
};

void dispatch_until(fbk_context *context, const seen &one)
{
	while (one.count == 0) {
		pollfd entry{ fbk_context_fd(context), POLLIN, 0 };
		CHECK(poll(&entry, 1, 30000) == 1);
		CHECK(fbk_dispatch(context) >= 0);
	}
	CHECK(one.count == 1);
}

void use_points(fbk_context *context, fbk_timeline *timeline, fbk_timeline *opened)
{
	seen watched{}, gated{}, never{};
	fbk_watch *pending = nullptr;
	v4l2_buffer buffer{};
	const descriptor no_card(eventfd(0, EFD_CLOEXEC));
	CHECK(fbk_point_check(fbk_point{ opened, 1 }) == -EAGAIN);
	CHECK(fbk_point_watch(fbk_point{ opened, 1 }, soon(), seen::point, &watched, nullptr) == 0);
	CHECK(fbk_point_watch(fbk_point{ opened, 9 }, soon(), seen::point, &never, &pending) == 0);
	CHECK(fbk_gate_v4l2_queue(fbk_point{ opened, 1 }, soon(), no_card.get(), &buffer,
				  seen::point, &gated, nullptr) == 0);
	CHECK(fbk_timeline_signal(timeline, 1) == 0);
	dispatch_until(context, watched);
	dispatch_until(context, gated);
	CHECK(watched.result == 0 && gated.result == -ENOTTY); /* it is no V4L2 device */
	fbk_watch_cancel(pending);
	CHECK(never.count == 0);

	const fbk_point points[] = { { opened, 8 }, FBK_POINT_SIGNALLED, { opened, 1 } };
	size_t index = 9;
	CHECK(fbk_point_wait_any(points, 3, soon(), &index) == 0 && index > 0);
	CHECK(fbk_point_wait(points[2], soon()) == 0);
}

/* ---------------------------------------------------------------------------- kernel primitives -- */

void use_fences(fbk_context *context, fbk_device *device, fbk_timeline *timeline)
{
	int fd = -1;
	CHECK(fbk_point_export(fbk_point{ timeline, 2 }, FBK_FENCE_EVENTFD, soon(), &fd) == 0);
	const descriptor exported(fd);
	CHECK(fbk_timeline_signal(timeline, 2) == 0);
	pollfd entry{ exported.get(), POLLIN, 0 };
	CHECK(poll(&entry, 1, 30000) == 1);

	const descriptor fence(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
	fbk_point imported{};
	CHECK(fbk_import(device, fence.copy(), &imported) == 0);
	const owner<fbk_timeline> of_import(imported.timeline);
	CHECK(eventfd_write(fence.get(), 1) == 0);
	CHECK(fbk_point_wait(imported, soon()) == 0);

	const auto brokered = timeline_of(device, nullptr, FBK_TIMELINE_BROKERED);
	const char *why = "";
	if (fbk_feature(context, FBK_FEATURE_MIRRORS, &why) == 1) {
		fbk_mirror *mirror = nullptr;
		CHECK(fbk_syncobj_create(context, &fd) == 0);
		const descriptor syncobj(fd);
		CHECK(fbk_mirror_to_syncobj(brokered.get(), syncobj.get(), &mirror) == 0);
		const owner<fbk_mirror> ended(mirror);
		std::printf("c++: with a mirror\n");
	} else {
		CHECK(fbk_syncobj_create(context, &fd) == -EOPNOTSUPP);
		std::printf("c++: without a mirror: %s\n", why);
	}
	struct fbk_timeline_info info {
	};
	info.struct_size = sizeof(info);
	CHECK(fbk_timeline_fail(brokered.get(), -EIO, "for the test") == 0);
	CHECK(fbk_point_wait(fbk_point{ brokered.get(), 1 }, soon()) == -EIO);
	CHECK(::fbk_timeline_info(brokered.get(), &info) == 0);
	CHECK(info.cause == FBK_CAUSE_OWNER_FAILED &&
	      std::strcmp(info.reason, "for the test") == 0);
}

/* --------------------------------------------------------------------------------------- frames -- */

owner<fbk_frame> next_of(fbk_link *link)
{
	fbk_frame *frame = nullptr;
	CHECK(fbk_link_next(link, soon(), &frame) == 0);
	return owner<fbk_frame>(frame);
}

void buffer_add(fbk_exchange *exchange)
{
	fbk_buffer_desc desc{};
	desc.struct_size = sizeof(desc);
	desc.memory = FBK_MEMORY_MEMFD;
	desc.plane_count = 1;
	std::fill(desc.fd, desc.fd + FBK_PLANES_MAX, -1);
	desc.fd[0] = memfd_create("c++", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	CHECK(ftruncate(desc.fd[0], 4096) == 0);
	CHECK(fcntl(desc.fd[0], F_ADD_SEALS, F_SEAL_SHRINK) == 0);
	CHECK(fbk_exchange_add(exchange, 0, &desc) == 0);
}

void use_frames(fbk_context *context, fbk_device *producer, fbk_device *consumer)
{
	fbk_link_desc wanted{};
	fbk_link *made = nullptr;
	fbk_exchange *ring = nullptr;
	int fd = -1;
	wanted.struct_size = sizeof(wanted);
	wanted.role = FBK_ROLE_PRODUCER;
	CHECK(fbk_link_offer(producer, &wanted, &fd, &made) == 0);
	const descriptor offer(fd);
	const owner<fbk_link> link(made);
	CHECK(fbk_exchange_create(link.get(), &ring) == 0);
	const owner<fbk_exchange> exchange(ring);
	CHECK(fbk_link_accept(consumer, offer.get(), nullptr, &made) == 0);
	const owner<fbk_link> accepted(made);
	CHECK(fbk_link_wait(link.get(), soon()) == 0);
	buffer_add(exchange.get());

	uint32_t index = 9;
	seen released{};
	struct fbk_frame_meta meta = FBK_FRAME_META_INIT;
	meta.pts_ns = 40;
	CHECK(fbk_exchange_take(exchange.get(), soon(), &index, nullptr) == 0);
	CHECK(fbk_exchange_hand(exchange.get(), index, FBK_POINT_SIGNALLED, soon(), &meta,
				seen::released, &released) == 1);
	{
		const auto frame = next_of(accepted.get());
		CHECK(::fbk_frame_meta(frame.get())->pts_ns == 40);
		CHECK(fbk_frame_buffer(frame.get())->plane_count == 1);
		CHECK(fbk_point_wait(fbk_frame_acquire(frame.get()), soon()) == 0);
		CHECK(fbk_frame_release(frame.get(), 0) == 0);
	}
	dispatch_until(context, released);

	/* It comes back before it is read: with the point that its release waits for. */
	fbk_point due{};
	fbk_release releases[FBK_CONSUMERS_MAX + 1];
	size_t count = 0;
	CHECK(fbk_exchange_hand(exchange.get(), 0, FBK_POINT_SIGNALLED, soon(), nullptr, nullptr,
				nullptr) == 1);
	CHECK(fbk_frame_release_later(next_of(accepted.get()).get(), &due) == 0);
	CHECK(fbk_exchange_take_early(exchange.get(), soon(), &index, nullptr, releases, &count) ==
	      0);
	CHECK(count == 1 && fbk_point_check(releases[0].point) == -EAGAIN);
	CHECK(fbk_point_signal(due) == 0);
	CHECK(fbk_point_wait(releases[0].point, soon()) == 0);
}
} // namespace

int main()
{
	const auto context = connect_to_daemon(), other = connect_to_daemon();
	const auto producer = device_of(context.get(), "c++-producer");
	const auto consumer = device_of(other.get(), "c++-consumer");
	fbk_set *set = nullptr;
	CHECK(fbk_set_create(context.get(), &set) == 0);
	const owner<fbk_set> pages(set);
	const auto timeline = timeline_of(producer.get(), pages.get(), 0);
	const auto opened = opened_by(other.get(), timeline.get());
	use_points(other.get(), timeline.get(), opened.get());
	use_fences(context.get(), producer.get(), timeline.get());
	use_frames(context.get(), producer.get(), consumer.get());
	std::printf("c++: done\n");
	return EXIT_SUCCESS;
}
