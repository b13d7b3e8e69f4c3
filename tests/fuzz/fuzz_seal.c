/* Any bytes as a sealed file, as its header, as a file of keys and as a public key. A header that parses has a length within the bytes; what opens was
 * sealed by nobody but the corpus. */
#include "seal/seal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The key of the specification: the corpus has files for it. */
static const char key[] = "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX";

static void as_keys(const uint8_t *data, size_t size)
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(seal_identities_freep) struct seal_identities *ids = seal_identities_new();
	CLEANUP(error_release) struct error wrong = ERROR_INIT;
	CLEANUP(cstr_release) char *text = xstrndup((const char *)data, size);

	if (!seal_identities_add(ids, "keys", data, size, NULL, &err))
		for (size_t i = 0; i < seal_identities_count(ids); i++)
			if (seal_recipient_check(seal_identity_recipient(ids, i), &wrong))
				abort();
	if (!seal_recipient_check(text, &wrong) && strlen(text) != 62)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(seal_identities_freep) struct seal_identities *ids = seal_identities_new();
	CLEANUP(strlist_release) struct strlist kinds = STRLIST_INIT;
	CLEANUP(buf_release) struct buf plain = BUF_INIT;
	size_t header = 0;

	if (!seal_header_kinds(data, size, &kinds, &header, &err) && (!kinds.len || header > size))
		abort();
	error_release(&err);
	if (seal_identities_add(ids, "keys", key, sizeof(key) - 1, NULL, &err))
		abort();
	if (!seal_open_bytes(ids, data, size, &plain, &err) && plain.len > size)
		abort();
	as_keys(data, size);
	return 0;
}
