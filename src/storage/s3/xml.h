/* Reading S3's answers. */
#ifndef STORAGE_S3_XML_H
#define STORAGE_S3_XML_H

#include "storage/storage.h"

/* At the end of each element but the outermost: its path below that one ("Contents/Key", without name spaces) and its own text. */
typedef enum status s3_xml_fn(void *ctx, const char *path, const char *text, struct error *err);
/* ST_BAD where the text is no XML, declares a document type, is deeper than anything S3 answers, or whose outermost element's name does not
 * begin with `root` (NULL: any; servers differ in its end). */
enum status s3_xml_read(const char *text, size_t n, const char *root, s3_xml_fn *fn, void *ctx, struct error *err) MUST_CHECK;

/* What went wrong, as the server says it. Empty where it does not. */
struct s3_fault {
	char code[64], message[256], region[40];
};
/* Never fails: an answer that is none gives an empty fault. */
void s3_fault_read(const char *text, size_t n, struct s3_fault *f);

/* One page of a listing: of objects, of versions or of uploads that were not finished. Keys as the bucket has them. */
struct s3_page {
	struct storage_versions item; /* id: of the version or upload; "" of objects */
	struct strlist tokens;        /* objects: the ETags, without quotes */
	bool more;
	char *next, *next_id;         /* where the next page begins; NULL: not told */
};
#define S3_PAGE_INIT {0}
enum status s3_page_read(const char *text, size_t n, struct s3_page *p, struct error *err) MUST_CHECK;
void s3_page_release(struct s3_page *p);

/* The parts of an upload that was not finished. */
struct s3_parts {
	uint64_t size;           /* of those on this page */
	struct instant modified; /* of the newest of them; NONE: there are none */
	bool more;
	char next[16];
};
enum status s3_parts_read(const char *text, size_t n, struct s3_parts *p, struct error *err) MUST_CHECK;

/* The text of the one element of this path, owned; NULL: not there. As s3_xml_read. */
enum status s3_xml_one(const char *text, size_t n, const char *path, char **to, struct error *err) MUST_CHECK;
/* Without the quotes that ETags come in. */
void s3_token(const char *etag, char to[STORAGE_TOKEN]);
void s3_xml_text(struct buf *to, const char *text); /* escaped, as the text of an element */

#endif
