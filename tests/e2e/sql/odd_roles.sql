-- Roles that odd.sql needs; they belong to the server, so they may be there already.
do $$
declare
	name text;
begin
	foreach name in array array['odd_owner', 'odd_reader', 'odd_group', 'odd_member', 'Odd "Röle"']
	loop
		if not exists (select from pg_roles where rolname = name) then
			execute format('create role %I', name);
		end if;
	end loop;
end
$$;
alter role odd_member login password 'odd-secret-password' connection limit 3 valid until 'infinity';
alter role odd_member set statement_timeout = '5min';
alter role "Odd ""Röle""" createdb;
grant odd_group to odd_member;
grant odd_reader to odd_group with admin option;
comment on role odd_member is 'a person''s login';
