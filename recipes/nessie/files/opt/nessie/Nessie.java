import java.util.logging.LogManager;

/**
 * Starts Nessie for logs in JSON. JBoss' log manager reads its configuration
 * only where it is the first that is asked; SLF4J, which Nessie asks first,
 * makes its loggers before that, and the file would never be read.
 */
public class Nessie {
    public static void main(String[] arguments) {
        LogManager.getLogManager();
        io.quarkus.runner.GeneratedMain.main(arguments);
    }
}
