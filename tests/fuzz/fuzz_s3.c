/* Any bytes as an answer of an S3 server, and any text as the URL and the endpoint of a store. */
#include "storage/s3/internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_answers(const char *text, size_t n)
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(s3_page_release) struct s3_page page = S3_PAGE_INIT;
	CLEANUP(cstr_release) char *one = NULL;
	struct s3_parts parts;
	struct s3_fault fault;

	if (!s3_page_read(text, n, &page, &err))
		for (size_t i = 0; i < page.item.len; i++)
			if (!page.item.item[i].key || !page.item.item[i].id || page.tokens.len != page.item.len)
				abort();
	error_release(&err);
	if (s3_parts_read(text, n, &parts, &err))
		error_release(&err);
	if (s3_xml_one(text, n, "UploadId", &one, &err))
		error_release(&err);
	s3_fault_read(text, n, &fault);
}

/* A place that could be made has a URL that makes the same place. */
static void read_place(const char *url, const char *endpoint)
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(s3_place_release) struct s3_place p = {0};
	CLEANUP(s3_place_release) struct s3_place again = {0};

	if (s3_place_make(url, endpoint, NULL, S3_STYLE_AUTO, &p, &err))
		return;
	CLEANUP(cstr_release) char *printed = s3_place_url(&p);
	printed[strcspn(printed, "?")] = 0;
	if (s3_place_make(printed, p.endpoint, p.region, p.path_style ? S3_STYLE_PATH : S3_STYLE_HOST, &again, &err) ||
	    strcmp(p.base, again.base) || strcmp(p.prefix, again.prefix))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(cstr_release) char *text = xstrndup((const char *)data, size);
	char *line = strchr(text, '\n');

	read_answers((const char *)data, size);
	if (line)
		*line++ = 0;
	read_place(text, line);
	return 0;
}
