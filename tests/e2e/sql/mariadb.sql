-- What only MariaDB has.
create sequence numbers start with 100 increment by 5 cache 10;
do nextval(numbers);
create table of_sequence (id int default nextval(numbers) primary key, u uuid, i6 inet6, hidden int invisible default 7);
insert into of_sequence (id, u, i6, hidden) values (1, '123e4567-e89b-12d3-a456-426655440000', '::1', 8);
create table versions (id int primary key, t varchar(20)) with system versioning;
insert into versions values (1, 'first');
update versions set t = 'second' where id = 1;
insert into versions values (2, 'other');
delete from versions where id = 2;
set sql_mode = 'ORACLE';
delimiter //
create package parcel as function weight(n int) return int; end//
create package body parcel as function weight(n int) return int as begin return n * 2; end; end//
delimiter ;
