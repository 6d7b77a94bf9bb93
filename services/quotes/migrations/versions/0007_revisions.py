"""Quotes that are revised: drafts, terms that change with their revision, and what each revision before said."""

from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Let what a quote says change with its revision only, and keep what it said.

    Programs of before go on with their quotes, which they never revise; drafts they cannot read. Rows that are there
    satisfy the new rules, as they satisfied stricter ones: they are not looked at again.
    """
    op.execute("""
        ALTER TABLE quotes
            ADD COLUMN created_by uuid,
            ADD COLUMN partner_id uuid,
            ADD COLUMN objects jsonb,
            ADD COLUMN revision integer NOT NULL DEFAULT 1,
            ALTER COLUMN starts_on DROP NOT NULL,
            ALTER COLUMN ends_on DROP NOT NULL,
            ALTER COLUMN net DROP NOT NULL,
            ALTER COLUMN tax DROP NOT NULL,
            ALTER COLUMN fees DROP NOT NULL,
            DROP CONSTRAINT quotes_state_check,
            ADD CONSTRAINT quotes_state CHECK (state IN (
                'draft', 'quoted', 'referred', 'declined', 'accepted', 'bound', 'expired', 'withdrawn'
            )) NOT VALID,
            ADD CONSTRAINT quotes_priced CHECK (
                state NOT IN ('quoted', 'referred', 'declined', 'accepted')
                OR (net IS NOT NULL AND tax IS NOT NULL AND fees IS NOT NULL AND ends_on IS NOT NULL)
            ) NOT VALID,
            DROP CONSTRAINT quotes_accepted,
            ADD CONSTRAINT quotes_accepted CHECK (
                CASE state
                    WHEN 'accepted' THEN accepted_at IS NOT NULL
                    WHEN 'bound' THEN true
                    WHEN 'expired' THEN true
                    WHEN 'withdrawn' THEN true
                    ELSE accepted_at IS NULL
                END
            ) NOT VALID,
            DROP CONSTRAINT quotes_bound,
            ADD CONSTRAINT quotes_bound CHECK (state <> 'bound' OR policy_id IS NOT NULL) NOT VALID,
            DROP CONSTRAINT quotes_policy_unique;

        -- What a quote said before it was revised.
        CREATE TABLE quote_revisions (
            quote_id uuid NOT NULL REFERENCES quotes (id),
            revision integer NOT NULL CHECK (revision > 0),
            product_version integer NOT NULL,
            starts_on date,
            ends_on date,
            answers jsonb NOT NULL,
            coverages jsonb NOT NULL,
            objects jsonb,
            net bigint,
            tax bigint,
            fees bigint,
            steps jsonb NOT NULL,
            lines jsonb,
            reasons jsonb NOT NULL,
            plans jsonb NOT NULL,
            valid_until timestamptz NOT NULL,
            PRIMARY KEY (quote_id, revision)
        );
        CREATE TRIGGER quote_revisions_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON quote_revisions
            FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

        CREATE FUNCTION keep_revision() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF NEW.revision <> OLD.revision + 1 THEN
                RAISE EXCEPTION 'what a quote says changes with its revision only'
                    USING ERRCODE = 'insufficient_privilege';
            END IF;
            INSERT INTO quote_revisions (
                quote_id, revision, product_version, starts_on, ends_on, answers, coverages, objects, net, tax, fees,
                steps, reasons, plans, valid_until, lines
            ) VALUES (
                OLD.id, OLD.revision, OLD.product_version, OLD.starts_on, OLD.ends_on, OLD.answers, OLD.coverages,
                OLD.objects, OLD.net, OLD.tax, OLD.fees, OLD.steps, OLD.reasons, OLD.plans, OLD.valid_until, OLD.lines
            );
            RETURN NEW;
        END $$;
        DROP TRIGGER quotes_terms_fixed ON quotes;
        DROP TRIGGER quotes_lines_fixed ON quotes;
        CREATE TRIGGER quotes_origin_fixed
            BEFORE UPDATE OF id, number, user_id, created_by, partner_id, product_code, time_zone, currency, created_at
            ON quotes FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
        -- Lines may be added to a price that a program of before stored without.
        CREATE TRIGGER quotes_revised
            BEFORE UPDATE OF product_version, starts_on, ends_on, answers, coverages, objects, net, tax, fees, steps,
                reasons, plans, valid_until, lines, revision
            ON quotes FOR EACH ROW WHEN (
                NEW.revision <> OLD.revision
                OR (OLD.lines IS NOT NULL AND NEW.lines IS DISTINCT FROM OLD.lines)
                OR (
                    NEW.product_version, NEW.starts_on, NEW.ends_on, NEW.answers, NEW.coverages, NEW.objects,
                    NEW.net, NEW.tax, NEW.fees, NEW.steps, NEW.reasons, NEW.plans, NEW.valid_until
                ) IS DISTINCT FROM (
                    OLD.product_version, OLD.starts_on, OLD.ends_on, OLD.answers, OLD.coverages, OLD.objects,
                    OLD.net, OLD.tax, OLD.fees, OLD.steps, OLD.reasons, OLD.plans, OLD.valid_until
                )
            ) EXECUTE FUNCTION keep_revision();
    """)
