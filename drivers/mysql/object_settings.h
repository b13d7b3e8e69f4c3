/* Settings under which an object was made, as SQL: for sessions and for files. */
#ifndef DRIVERS_MYSQL_OBJECT_SETTINGS_H
#define DRIVERS_MYSQL_OBJECT_SETTINGS_H

#include "drivers/mysql/objects.h"

/* Whether the text has the same bytes in utf8mb4 and in the character set. */
bool my_text_is_plain(const char *text, const char *charset);
/* "SET sql_mode = ..., ..." of those that the object has, without what the server of c does not know (c NULL: as it is); nothing where it has
 * none. client: character_set_client, in place of the object's. */
void my_put_settings(const struct my_conn *c, const struct my_object *o, const char *client, struct buf *to);
/* ALTER DATABASE of the default one. */
void my_put_database_collation(const char *collation, struct buf *to);
/* ALTER EVENT that makes it what it was; nothing where it was DISABLED. replica: the word of newer servers. Keeps the definer, which
 * would be who alters. */
void my_put_event_status(const struct my_object *o, bool replica, struct buf *to);

/* Events of a database that does not have its own name must not act beside those that have it. Parked, one that was ENABLED is disabled as
 * on a replica, which says that it is to act again, and any other DISABLED; unparking turns that around. Others than events stay as they are. */
void my_event_park(struct my_object *o);
void my_event_unpark(struct my_object *o);
bool my_event_is_enabled(const struct my_object *o);

#endif
