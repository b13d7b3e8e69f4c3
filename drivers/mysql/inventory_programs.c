#include "drivers/mysql/inventory_ask.h"

#define MADE_UNDER "SQL_MODE, CHARACTER_SET_CLIENT, COLLATION_CONNECTION, DATABASE_COLLATION"
#define MADE_LABELS "mode,client,collation,database collation"

#define ROUTINE(kind_name, type)                                                                                                      \
	{                                                                                                                             \
		kind_name, .parts = 1,                                                                                                \
			   .columns = "ROUTINE_NAME, DTD_IDENTIFIER, CHARACTER_SET_NAME, COLLATION_NAME, NULLIF(IS_DETERMINISTIC, 'NO')," \
				      " SQL_DATA_ACCESS, SECURITY_TYPE, ROUTINE_COMMENT, ROUTINE_DEFINITION, " MADE_UNDER,           \
			   .table = "ROUTINES", .schema = "ROUTINE_SCHEMA", .more = "AND ROUTINE_TYPE = '" type "'",                      \
			   .label = "type,,result collation,deterministic,data,security,comment,body," MADE_LABELS                       \
	}

/* What each object does with a definer's rights is among its facts; who the definer is stands for itself. */
#define DEFINER(kind_name, n, column, source, in, rest)                                                                                     \
	{                                                                                                                             \
		kind_name, .parts = n, .columns = column ", DEFINER", .table = source, .schema = in, .more = rest, .label = "is"             \
	}

static bool has_own_name(const struct my_taking *t) { return !t->beside; }
static bool has_another_name(const struct my_taking *t) { return t->beside; }

const struct my_question my_inventory_programs[] = {
	ROUTINE("function", "FUNCTION"),
	ROUTINE("procedure", "PROCEDURE"),
	ROUTINE("package", "PACKAGE"),
	ROUTINE("package body", "PACKAGE BODY"),
	{"parameter", .parts = 3,
	 .columns = "LOWER(ROUTINE_TYPE), SPECIFIC_NAME, ORDINAL_POSITION, PARAMETER_MODE, PARAMETER_NAME, DTD_IDENTIFIER, COLLATION_NAME",
	 .table = "PARAMETERS", .schema = "SPECIFIC_SCHEMA", .more = "AND ORDINAL_POSITION > 0", .label = "mode,name,type,collation"},
	{"trigger", .parts = 2,
	 .columns = "TRIGGER_NAME, LOWER(EVENT_MANIPULATION), EVENT_OBJECT_TABLE, ACTION_TIMING, ACTION_ORDER, ACTION_STATEMENT, " MADE_UNDER,
	 .table = "TRIGGERS", .schema = "TRIGGER_SCHEMA", .more = "", .label = "on,when,at,body," MADE_LABELS},
	{"event", .parts = 1,
	 .columns = "EVENT_NAME, TIME_ZONE, EVENT_TYPE, EXECUTE_AT, INTERVAL_VALUE, INTERVAL_FIELD, STARTS, ENDS, ON_COMPLETION, EVENT_COMMENT,"
		    " EVENT_DEFINITION, " MADE_UNDER,
	 .table = "EVENTS", .schema = "EVENT_SCHEMA", .more = "", .label = "zone,type,at,every,,starts,ends,on completion,comment,body," MADE_LABELS},
	/* A copy under another name has them parked (object_settings.h). */
	{"event status", .parts = 1, .columns = "EVENT_NAME, IF(STATUS = 'ENABLED', STATUS, 'DISABLED')", .table = "EVENTS", .schema = "EVENT_SCHEMA",
	 .more = "", .label = "status", .needed = has_own_name},
	{"event status", .parts = 1, .columns = "EVENT_NAME, IF(STATUS = 'DISABLED', STATUS, 'ENABLED')", .table = "EVENTS", .schema = "EVENT_SCHEMA",
	 .more = "", .label = "status", .needed = has_another_name},
	DEFINER("definer of a function", 1, "ROUTINE_NAME", "ROUTINES", "ROUTINE_SCHEMA", "AND ROUTINE_TYPE = 'FUNCTION'"),
	DEFINER("definer of a procedure", 1, "ROUTINE_NAME", "ROUTINES", "ROUTINE_SCHEMA", "AND ROUTINE_TYPE = 'PROCEDURE'"),
	DEFINER("definer of a package", 1, "ROUTINE_NAME", "ROUTINES", "ROUTINE_SCHEMA", "AND ROUTINE_TYPE = 'PACKAGE'"),
	DEFINER("definer of a package body", 1, "ROUTINE_NAME", "ROUTINES", "ROUTINE_SCHEMA", "AND ROUTINE_TYPE = 'PACKAGE BODY'"),
	DEFINER("definer of a trigger", 2, "TRIGGER_NAME, LOWER(EVENT_MANIPULATION)", "TRIGGERS", "TRIGGER_SCHEMA", ""),
	DEFINER("definer of an event", 1, "EVENT_NAME", "EVENTS", "EVENT_SCHEMA", ""),
	{.kind = NULL},
};
