#include "pipeline/region.h"

#include <errno.h>
#include <sys/mman.h>

enum status region_map(struct region *r, size_t n, struct error *err)
{
	void *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED) {
		error_errno(err, errno, "cannot map %zu bytes of buffers", n);
		err->code = ST_MEMORY;
		return ST_MEMORY;
	}
	*r = (struct region){.p = p, .n = n};
	return ST_OK;
}

void region_trim(struct region *r)
{
	if (r->p && madvise(r->p, r->n, MADV_DONTNEED))
		die("cannot give back the memory of buffers");
}

void region_release(struct region *r)
{
	if (r->p && munmap(r->p, r->n))
		die("cannot unmap buffers");
	*r = (struct region)REGION_INIT;
}
