// SPDX-License-Identifier: MIT
#include <errno.h>
#include <stdlib.h>

#include "opencl.h"

int page_import(const struct fbk_cl *cl, struct page *page, size_t size)
{
	cl_int result = CL_SUCCESS;
	if (cl->way == FBK_CL_WAY_HOST_POINTER) {
		page->buffer = clCreateBuffer(cl->context, CL_MEM_READ_WRITE | CL_MEM_USE_HOST_PTR,
					      size, page->start, &result);
	}
	return result == CL_SUCCESS ? 0 : cl_error_result(result, "clCreateBuffer");
}

void page_release(struct page *page)
{
	if (page->buffer) {
		clReleaseMemObject(page->buffer);
	}
}

static struct page *page_find(struct fbk_cl *cl, const void *start)
{
	struct page *page;
	LIST_FOREACH(page, &cl->pages, links) {
		if (page->start == start) {
			return page;
		}
	}
	return NULL;
}

/* One buffer for all timelines on a page: commands on two buffers over the same memory are undefined. */
int page_get(struct fbk_cl *cl, void *start, size_t size, struct page **ret_page)
{
	struct page *page = page_find(cl, start);
	if (page) {
		page->refs++;
		*ret_page = page;
		return 0;
	}
	page = calloc(1, sizeof(*page));
	if (!page) {
		return cl_error_set(-ENOMEM, "out of memory");
	}
	page->start = start;
	page->refs = 1;
	int r = page_import(cl, page, size);
	if (r < 0) {
		free(page);
		return r;
	}
	LIST_INSERT_HEAD(&cl->pages, page, links);
	*ret_page = page;
	return 0;
}

void page_put(struct page *page)
{
	if (--page->refs == 0) {
		LIST_REMOVE(page, links);
		page_release(page);
		free(page);
	}
}
