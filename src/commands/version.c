#include "commands/command.h"

#include <openssl/crypto.h>
#include <xxhash.h>
#include <yaml.h>
#include <zlib.h>

#include "util/json.h"

/* What a build may have left out. */
static const struct {
	const char *name, *library;
} drivers_known[] = {{"postgres", "libpq"}, {"mysql", "libmariadb"}, {"mongodb", "libmongoc"}};

void version_text(struct buf *to)
{
	unsigned xxh = XXH_versionNumber();
	const char *before = "";
	CLEANUP(strlist_release) struct strlist engines = STRLIST_INIT;

	buf_printf(to, "drtool %s\n\ndatabases:   ", DRTOOL_VERSION);
	for (const struct driver *const *d = drivers; *d; d++, before = ", ")
		buf_printf(to, "%s%s", before, (*d)->name);
	for (size_t i = 0; i < ARRAY_LEN(drivers_known); i++)
		if (!driver_named(drivers_known[i].name)) {
			buf_printf(to, "%sno %s (built without %s)", before, drivers_known[i].name, drivers_known[i].library);
			before = ", ";
		}
	buf_puts(to, "\nstores:      ");
	before = "";
	for (const struct storage_ops *const *s = storages; *s; s++, before = ", ")
		buf_printf(to, "%s%s", before, (*s)->name);
	buf_puts(to, "\ncompression: ");
	for (int mode = GZIP_FAST; mode <= GZIP_PORTABLE; mode++) {
		CLEANUP(gzip_freep) struct gzip *z = gzip_new((enum gzip_mode)mode);

		strlist_add_once(&engines, gzip_engine_name(z));
	}
	for (size_t i = 0; i < engines.len; i++)
		buf_printf(to, "%s%s", i ? ", " : "", engines.item[i]);
	buf_printf(to, "\nlibraries:   zlib %s, libyaml %s, jansson %s, xxHash %u.%u.%u, %s\n", zlibVersion(),
		   yaml_get_version_string(), jansson_version_str(), xxh / 10000, xxh / 100 % 100, xxh % 100,
		   OpenSSL_version(OPENSSL_VERSION));
}
