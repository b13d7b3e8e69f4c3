/* Any bytes as a manifest: as they are, and as the body before a right checksum. What is read is written and read again. */
#include "archive/manifest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_one(const void *p, size_t n)
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(manifest_release) struct manifest m = MANIFEST_INIT;
	CLEANUP(manifest_release) struct manifest again = MANIFEST_INIT;
	CLEANUP(buf_release) struct buf b = BUF_INIT;

	if (manifest_read(p, n, &m, &err))
		return;
	if (!manifest_write(&m, &b, &err) && manifest_read(b.data, b.len, &again, &err))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(buf_release) struct buf b = BUF_INIT;
	char hex[SHA256_HEX];

	read_one(data, size);
	buf_put(&b, data, size);
	struct sha256 sum = sha256_of(data, size);
	buf_printf(&b, "\"checksum\": \"%s\"\n}\n", sha256_hex(sum, hex));
	read_one(b.data, b.len);
	return 0;
}
