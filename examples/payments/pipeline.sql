-- Payments as they come from the terminals.
CREATE STREAMING TABLE bronze.payments
AS SELECT * FROM STREAM read_files('landing', format => 'json',
  schema => 'payment_id STRING, customer_id BIGINT, paid_at TIMESTAMPTZ, amount DECIMAL(10,2), country STRING');

-- Every payment with what is known of its customer, and what speaks against it.
CREATE STREAMING TABLE silver.payments
AS SELECT p.payment_id, p.paid_at, p.amount, p.country, p.customer_id, c.name,
          CASE WHEN c.customer_id IS NULL THEN 'unknown customer'
               WHEN c.blocked THEN 'blocked customer'
               WHEN p.amount > 10 * c.usual_amount THEN 'unusual amount'
               WHEN p.country <> c.country AND p.amount > 500 THEN 'expensive abroad'
          END AS suspicion
FROM STREAM bronze.payments AS p
LEFT JOIN customers AS c ON c.customer_id = p.customer_id;

-- What somebody has to look at.
CREATE STREAMING TABLE gold.alerts
AS SELECT payment_id, paid_at, customer_id, name, amount, suspicion
FROM STREAM silver.payments
WHERE suspicion IS NOT NULL;
