#include "commands/command.h"

#include <openssl/crypto.h>
#include <xxhash.h>
#include <yaml.h>
#include <zlib.h>

#include "util/json.h"

void version_text(struct buf *to)
{
	unsigned xxh = XXH_versionNumber();
	const char *before = "";
	CLEANUP(strlist_release) struct strlist engines = STRLIST_INIT;

	buf_printf(to, "drtool %s\n\ndatabases:   ", DRTOOL_VERSION);
	for (const struct driver *const *d = drivers; *d; d++, before = ", ")
		buf_printf(to, "%s%s", before, (*d)->name);
	if (!driver_named("postgres")) {
		buf_printf(to, "%sno postgres (built without libpq)", before);
		before = ", ";
	}
	if (!driver_named("mysql"))
		buf_printf(to, "%sno mysql (built without libmariadb)", before);
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
