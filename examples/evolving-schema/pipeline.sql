-- No column is declared: the schema is found in the files and grows with them.
CREATE STREAMING TABLE bronze.products
AS SELECT *, _metadata.file_name AS source_file
FROM STREAM read_files('landing', format => 'json');
