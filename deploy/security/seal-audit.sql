-- Take the audit log out of the hands of the service: run once in each service's database, after its migrations, as an
-- administrator of the server. Without it the role of the service owns the table: it cannot change a row, but it could
-- give itself the right, or drop the trigger. After it, it can add and read.
--   psql -v ON_ERROR_STOP=1 -v service=bazaruto_users -d bazaruto_users -f deploy/security/seal-audit.sql
-- A later migration that changes the table has to be run by an administrator too.
BEGIN;
SELECT 'CREATE ROLE bazaruto_audit NOLOGIN'
WHERE NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'bazaruto_audit') \gexec
-- Who owns the schema may drop every table in it, and the owner of the database owns it at first.
ALTER SCHEMA public OWNER TO CURRENT_USER;
GRANT USAGE, CREATE ON SCHEMA public TO :"service";
GRANT USAGE, CREATE ON SCHEMA public TO bazaruto_audit;
ALTER TABLE audit_events OWNER TO bazaruto_audit;
ALTER FUNCTION refuse_change_of_audit() OWNER TO bazaruto_audit;
REVOKE ALL ON audit_events FROM PUBLIC;
REVOKE ALL ON audit_events FROM :"service";
REVOKE UPDATE, DELETE, TRUNCATE ON audit_events FROM bazaruto_audit;
GRANT SELECT, INSERT ON audit_events TO :"service";
REVOKE CREATE ON SCHEMA public FROM bazaruto_audit;
COMMIT;
