// SPDX-License-Identifier: MIT OR GPL-2.0-only
/*
 * A test driver: real kernel fences on demand. The kernels of distributions have no sw_sync, and none
 * of their drivers lets a test choose when a fence is signalled and with what error.
 *
 * Each open file of /dev/fbk-test-fence is a list of its unsignalled fences. A fence is signalled by
 * FBK_TEST_FENCE_SIGNAL, or with -ENOENT when its file is closed, so that nothing waits for ever. For
 * test machines only: a fence that nobody signals breaks the contract of dma_fence, on purpose.
 * It also makes dma-bufs whose memory goes away when a test says so.
 */
#include <linux/dma-buf.h>
#include <linux/dma-fence.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/idr.h>
#include <linux/ktime.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/sync_file.h>
#include <linux/uaccess.h>
#include <linux/version.h>

#include "fbk-test-fence.h"

#define HAVE_DEADLINE (LINUX_VERSION_CODE >= KERNEL_VERSION(6, 4, 0))

struct test_fence {
	struct dma_fence base;
	spinlock_t lock;
	atomic64_t deadline_ns;
};

struct test_file {
	struct mutex lock; /* of the fences' table, not of the fences */
	struct idr fences; /* id to struct test_fence, a reference each */
};

static const char *fence_driver_name(struct dma_fence *base)
{
	return FBK_TEST_FENCE_DRIVER;
}

static const char *fence_timeline_name(struct dma_fence *base)
{
	return "file";
}

#if HAVE_DEADLINE
static void fence_set_deadline(struct dma_fence *base, ktime_t deadline)
{
	struct test_fence *fence = container_of(base, struct test_fence, base);

	atomic64_set(&fence->deadline_ns, ktime_to_ns(deadline));
}
#endif

static void fence_release(struct dma_fence *base)
{
	dma_fence_free(base);
	module_put(THIS_MODULE);
}

static const struct dma_fence_ops fence_ops = {
	.get_driver_name = fence_driver_name,
	.get_timeline_name = fence_timeline_name,
	.release = fence_release,
#if HAVE_DEADLINE
	.set_deadline = fence_set_deadline,
#endif
};

static bool fence_finish(struct test_fence *fence, int error)
{
	unsigned long flags;
	bool pending;

	spin_lock_irqsave(&fence->lock, flags);
	pending = !dma_fence_is_signaled_locked(&fence->base);
	if (pending) {
		if (error) {
			dma_fence_set_error(&fence->base, error);
		}
		dma_fence_signal_locked(&fence->base);
	}
	spin_unlock_irqrestore(&fence->lock, flags);
	return pending;
}

static struct test_fence *fence_create(void)
{
	struct test_fence *fence = kzalloc(sizeof(*fence), GFP_KERNEL);

	if (!fence) {
		return NULL;
	}
	__module_get(THIS_MODULE); /* a sync_file may outlive the file that made it */
	spin_lock_init(&fence->lock);
	/* A context each: they may be signalled in any order. */
	dma_fence_init(&fence->base, &fence_ops, &fence->lock, dma_fence_context_alloc(1), 1);
	return fence;
}

/* A reference, or NULL. */
static struct test_fence *fence_find(struct test_file *file, u32 id)
{
	struct test_fence *fence;

	mutex_lock(&file->lock);
	fence = idr_find(&file->fences, id);
	if (fence) {
		dma_fence_get(&fence->base);
	}
	mutex_unlock(&file->lock);
	return fence;
}

static long file_create(struct test_file *file, void __user *argument)
{
	struct fbk_test_fence_create result = {};
	struct test_fence *fence = fence_create();
	struct sync_file *sync_file;
	int id, fd, r;

	if (!fence) {
		return -ENOMEM;
	}
	sync_file = sync_file_create(&fence->base);
	if (!sync_file) {
		r = -ENOMEM;
		goto put_fence;
	}
	fd = get_unused_fd_flags(O_CLOEXEC);
	if (fd < 0) {
		r = fd;
		goto put_sync_file;
	}
	mutex_lock(&file->lock);
	id = idr_alloc(&file->fences, fence, 1, 0, GFP_KERNEL);
	mutex_unlock(&file->lock);
	if (id < 0) {
		r = id;
		goto put_fd;
	}
	result.id = id;
	result.fd = fd;
	if (copy_to_user(argument, &result, sizeof(result))) {
		r = -EFAULT;
		goto remove;
	}
	fd_install(fd, sync_file->file);
	return 0; /* the table keeps our reference to the fence */

remove:
	mutex_lock(&file->lock);
	idr_remove(&file->fences, id);
	mutex_unlock(&file->lock);
put_fd:
	put_unused_fd(fd);
put_sync_file:
	fput(sync_file->file);
put_fence:
	fence_finish(fence, -ENOENT);
	dma_fence_put(&fence->base);
	return r;
}

static long file_signal(struct test_file *file, const void __user *argument)
{
	struct fbk_test_fence_signal request;
	struct test_fence *fence;
	bool pending;

	if (copy_from_user(&request, argument, sizeof(request))) {
		return -EFAULT;
	}
	if (request.error > 0 || request.error < -MAX_ERRNO) {
		return -EINVAL;
	}
	fence = fence_find(file, request.id);
	if (!fence) {
		return -ENOENT;
	}
	pending = fence_finish(fence, request.error);
	dma_fence_put(&fence->base);
	return pending ? 0 : -ENOENT;
}

static long file_deadline(struct test_file *file, void __user *argument)
{
	struct fbk_test_fence_deadline request;
	struct test_fence *fence;

	if (!HAVE_DEADLINE) {
		return -EOPNOTSUPP;
	}
	if (copy_from_user(&request, argument, sizeof(request))) {
		return -EFAULT;
	}
	if (request.pad) {
		return -EINVAL;
	}
	fence = fence_find(file, request.id);
	if (!fence) {
		return -ENOENT;
	}
	request.deadline_ns = atomic64_read(&fence->deadline_ns);
	dma_fence_put(&fence->base);
	return copy_to_user(argument, &request, sizeof(request)) ? -EFAULT : 0;
}

/* ----------------------------------------------------------------------------------- buffers -- */

#define BUFFER_SIZE_MAX (2 << 20)

struct test_buffer {
	struct page **pages;
	unsigned long count;
	bool unmapped;
	bool revoked;
};

static vm_fault_t buffer_fault(struct vm_fault *fault)
{
	struct test_buffer *buffer = fault->vma->vm_private_data;

	if (READ_ONCE(buffer->revoked) || fault->pgoff >= buffer->count) {
		return VM_FAULT_SIGBUS;
	}
	fault->page = buffer->pages[fault->pgoff];
	get_page(fault->page);
	return 0;
}

static const struct vm_operations_struct buffer_vm_ops = {
	.fault = buffer_fault,
};

static int buffer_mmap(struct dma_buf *dmabuf, struct vm_area_struct *vma)
{
	struct test_buffer *buffer = dmabuf->priv;

	if (buffer->unmapped) {
		return -ENODEV;
	}
	vma->vm_ops = &buffer_vm_ops;
	vma->vm_private_data = buffer;
	return 0;
}

/* No device ever attaches. */
static struct sg_table *buffer_map(struct dma_buf_attachment *attachment,
				   enum dma_data_direction direction)
{
	return ERR_PTR(-EOPNOTSUPP);
}

static void buffer_unmap(struct dma_buf_attachment *attachment, struct sg_table *table,
			 enum dma_data_direction direction)
{
}

static void buffer_free(struct test_buffer *buffer)
{
	unsigned long i;

	for (i = 0; i < buffer->count && buffer->pages[i]; i++) {
		put_page(buffer->pages[i]);
	}
	kvfree(buffer->pages);
	kfree(buffer);
}

static void buffer_release(struct dma_buf *dmabuf)
{
	buffer_free(dmabuf->priv);
}

static const struct dma_buf_ops buffer_ops = {
	.map_dma_buf = buffer_map,
	.unmap_dma_buf = buffer_unmap,
	.mmap = buffer_mmap,
	.release = buffer_release,
};

static struct test_buffer *buffer_create(u64 size)
{
	struct test_buffer *buffer = kzalloc(sizeof(*buffer), GFP_KERNEL);
	unsigned long i;

	if (!buffer) {
		return NULL;
	}
	buffer->count = size >> PAGE_SHIFT;
	buffer->pages = kvcalloc(buffer->count, sizeof(*buffer->pages), GFP_KERNEL);
	if (!buffer->pages) {
		kfree(buffer);
		return NULL;
	}
	for (i = 0; i < buffer->count; i++) {
		buffer->pages[i] = alloc_page(GFP_KERNEL | __GFP_ZERO);
		if (!buffer->pages[i]) {
			buffer_free(buffer);
			return NULL;
		}
	}
	return buffer;
}

static long file_buffer_create(void __user *argument)
{
	struct fbk_test_buffer_create request;
	DEFINE_DMA_BUF_EXPORT_INFO(info);
	struct test_buffer *buffer;
	struct dma_buf *dmabuf;

	if (copy_from_user(&request, argument, sizeof(request))) {
		return -EFAULT;
	}
	if (request.size == 0 || request.size > BUFFER_SIZE_MAX || request.size & ~PAGE_MASK) {
		return -EINVAL;
	}
	buffer = buffer_create(request.size);
	if (!buffer) {
		return -ENOMEM;
	}
	buffer->unmapped = request.unmapped;
	info.ops = &buffer_ops;
	info.size = request.size;
	info.flags = O_RDWR;
	info.priv = buffer;
	dmabuf = dma_buf_export(&info);
	if (IS_ERR(dmabuf)) {
		buffer_free(buffer);
		return PTR_ERR(dmabuf);
	}
	request.fd = dma_buf_fd(dmabuf, O_CLOEXEC);
	if (request.fd < 0) {
		dma_buf_put(dmabuf);
		return request.fd;
	}
	return copy_to_user(argument, &request, sizeof(request)) ? -EFAULT : 0;
}

static long file_buffer_revoke(const void __user *argument)
{
	struct fbk_test_buffer_revoke request;
	struct test_buffer *buffer;
	struct dma_buf *dmabuf;

	if (copy_from_user(&request, argument, sizeof(request))) {
		return -EFAULT;
	}
	dmabuf = dma_buf_get(request.fd);
	if (IS_ERR(dmabuf)) {
		return PTR_ERR(dmabuf);
	}
	if (dmabuf->ops != &buffer_ops) {
		dma_buf_put(dmabuf);
		return -EINVAL;
	}
	buffer = dmabuf->priv;
	WRITE_ONCE(buffer->revoked, true);
	unmap_mapping_range(dmabuf->file->f_mapping, 0, 0, 1);
	dma_buf_put(dmabuf);
	return 0;
}

static long file_ioctl(struct file *handle, unsigned int command, unsigned long argument)
{
	struct test_file *file = handle->private_data;

	switch (command) {
	case FBK_TEST_FENCE_CREATE:
		return file_create(file, (void __user *)argument);
	case FBK_TEST_FENCE_SIGNAL:
		return file_signal(file, (const void __user *)argument);
	case FBK_TEST_FENCE_DEADLINE:
		return file_deadline(file, (void __user *)argument);
	case FBK_TEST_BUFFER_CREATE:
		return file_buffer_create((void __user *)argument);
	case FBK_TEST_BUFFER_REVOKE:
		return file_buffer_revoke((const void __user *)argument);
	}
	return -ENOTTY;
}

static int file_open(struct inode *inode, struct file *handle)
{
	struct test_file *file = kzalloc(sizeof(*file), GFP_KERNEL);

	if (!file) {
		return -ENOMEM;
	}
	mutex_init(&file->lock);
	idr_init(&file->fences);
	handle->private_data = file;
	return 0;
}

static int file_release(struct inode *inode, struct file *handle)
{
	struct test_file *file = handle->private_data;
	struct test_fence *fence;
	int id;

	idr_for_each_entry(&file->fences, fence, id)
	{
		fence_finish(fence, -ENOENT);
		dma_fence_put(&fence->base);
	}
	idr_destroy(&file->fences);
	kfree(file);
	return 0;
}

static const struct file_operations file_ops = {
	.owner = THIS_MODULE,
	.open = file_open,
	.release = file_release,
	.unlocked_ioctl = file_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.llseek = noop_llseek,
};

static struct miscdevice device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "fbk-test-fence",
	.fops = &file_ops,
	.mode = 0600,
};

module_misc_device(device);

MODULE_DESCRIPTION("Fences that a test signals, and buffers that it revokes, as it likes");
MODULE_LICENSE("Dual MIT/GPL");
MODULE_IMPORT_NS(DMA_BUF);
