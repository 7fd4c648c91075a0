/** The one place where a name becomes SQL text. */
export const ident = (name: string): string => `"${name.replaceAll('"', '""')}"`

/** A name in a schema. */
export const qualified = (schema: string, name: string): string => `${ident(schema)}.${ident(name)}`

/** The one place where a text becomes an SQL literal; only for statements that take no parameters (DDL). */
export const literal = (text: string): string => `'${text.replaceAll("'", "''")}'`
