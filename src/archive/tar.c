#include "archive/tar.h"

const unsigned char tar_end[TAR_END_LEN] = {0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xff,
					    0x63, 0x60, 0x18, 0x05, 0xa3, 0x60, 0x14, 0x8c, 0x54, 0x00,
					    0x00, 0x2e, 0xaf, 0xb5, 0xef, 0x00, 0x04, 0x00, 0x00};

/* Field offsets and sizes of a ustar block. */
enum {
	NAME = 0,
	NAME_LEN = 100,
	MODE = 100,
	UID = 108,
	GID = 116,
	SIZE = 124,
	MTIME = 136,
	NUMBER_LEN = 12,
	SUM = 148,
	TYPE = 156,
	MAGIC = 257,
	DEV_MAJOR = 329,
	DEV_MINOR = 337,
	PREFIX = 345,
	PREFIX_LEN = 155,
};
#define OCTAL_11_MAX 077777777777u

/* `digits` octal digits and a 0 byte. */
static void put_octal(unsigned char *to, size_t digits, uint64_t value)
{
	for (size_t i = digits; i--; value >>= 3)
		to[i] = (unsigned char)('0' + (value & 7));
	to[digits] = 0;
}

static bool get_octal(const unsigned char *p, size_t digits, uint64_t *value)
{
	*value = 0;
	for (size_t i = 0; i < digits; i++) {
		if (p[i] < '0' || p[i] > '7')
			return false;
		*value = *value << 3 | (uint64_t)(p[i] - '0');
	}
	return true;
}

/* Sizes from 8 GiB on are binary, with the top bit of the field set: what every tar of today reads. */
static void put_size(unsigned char *to, uint64_t size)
{
	if (size <= OCTAL_11_MAX) {
		put_octal(to, NUMBER_LEN - 1, size);
		return;
	}
	to[0] = 0x80;
	for (size_t i = NUMBER_LEN - 1; i; i--, size >>= 8)
		to[i] = (unsigned char)size;
}

static bool get_size(const unsigned char *p, uint64_t *size)
{
	static const unsigned char binary[4] = {0x80, 0, 0, 0};

	if (memcmp(p, binary, sizeof binary))
		return get_octal(p, NUMBER_LEN - 1, size);
	*size = 0;
	for (size_t i = sizeof binary; i < NUMBER_LEN; i++)
		*size = *size << 8 | p[i];
	return true;
}

static const unsigned char magic[8] = {'u', 's', 't', 'a', 'r', 0, '0', '0'};

static void put_block(unsigned char *b, char type, uint64_t size, uint64_t mtime)
{
	uint64_t sum = 0;

	put_octal(b + MODE, 7, 0600);
	put_octal(b + UID, 7, 0);
	put_octal(b + GID, 7, 0);
	put_size(b + SIZE, size);
	put_octal(b + MTIME, NUMBER_LEN - 1, mtime);
	b[TYPE] = (unsigned char)type;
	memcpy(b + MAGIC, magic, sizeof magic);
	put_octal(b + DEV_MAJOR, 7, 0);
	put_octal(b + DEV_MINOR, 7, 0);
	memset(b + SUM, ' ', 8);
	for (size_t i = 0; i < TAR_BLOCK; i++)
		sum += b[i];
	put_octal(b + SUM, 6, sum);
	b[SUM + 7] = ' ';
}

/* Lays the path into name and prefix. False: it does not fit. */
static bool put_path(unsigned char *b, const char *path, size_t n)
{
	if (n <= NAME_LEN) {
		memcpy(b + NAME, path, n);
		return true;
	}
	for (size_t i = n - NAME_LEN - 1; i < n - 1 && i <= PREFIX_LEN; i++) {
		if (path[i] != '/' || !i)
			continue;
		memcpy(b + PREFIX, path, i);
		memcpy(b + NAME, path + i + 1, n - i - 1);
		return true;
	}
	return false;
}

/* One pax record, "<length of it all> path=<path>\n". */
static size_t put_pax_record(char *to, const char *key, const char *value, size_t n)
{
	size_t rest = 1 + strlen(key) + 1 + n + 1, len = rest + 1;

	for (size_t digits = 1, power = 10; len >= power; power *= 10)
		len = rest + ++digits;
	int head = snprintf(to, TAR_HEAD_MAX, "%zu %s=", len, key);
	memcpy(to + head, value, n);
	to[len - 1] = '\n';
	return len;
}

/* An entry of its own whose content is meant for the header that follows. Returns its length. */
static size_t put_extension(unsigned char *to, char type, const char *name, const void *p, size_t n)
{
	memcpy(to + NAME, name, strlen(name));
	put_block(to, type, n, 0);
	memcpy(to + TAR_BLOCK, p, n);
	return TAR_BLOCK + n + tar_padding(n);
}

size_t tar_head(const char *path, uint64_t size, struct instant mtime, unsigned char *to)
{
	size_t n = strlen(path), len = 0;
	uint64_t seconds = mtime.us > 0 ? min_u64((uint64_t)mtime.us / 1000000, OCTAL_11_MAX) : 0;
	unsigned char last[TAR_BLOCK] = {0};

	if (n > TAR_PATH_MAX)
		abort();
	if (!put_path(last, path, n)) {
		/* Twice: as pax wants it, and in the older form of GNU tar for those which skip pax headers, as busybox does. */
		char record[TAR_HEAD_MAX];
		memset(to, 0, TAR_HEAD_MAX);
		len = put_extension(to, 'x', "./PaxHeaders/path", record, put_pax_record(record, "path", path, n));
		len += put_extension(to + len, 'L', "././@LongLink", path, n + 1);
		memcpy(last + NAME, path, NAME_LEN);
	}
	put_block(last, '0', size, seconds);
	memcpy(to + len, last, TAR_BLOCK);
	return len + TAR_BLOCK;
}

enum status tar_head_check(const unsigned char *head, size_t n, const char *path, uint64_t *size, struct error *err)
{
	unsigned char made[TAR_HEAD_MAX];
	uint64_t mtime = 0;

	if (n < TAR_BLOCK || n > TAR_HEAD_MAX || !get_size(head + n - TAR_BLOCK + SIZE, size) ||
	    !get_octal(head + n - TAR_BLOCK + MTIME, NUMBER_LEN - 1, &mtime) ||
	    tar_head(path, *size, (struct instant){(int64_t)mtime * 1000000}, made) != n || memcmp(head, made, n))
		return error_set(err, ST_BAD, "the tar header is not that of %s", path);
	return ST_OK;
}
